"""Write docling's models untrained, with the shapes and files of the real ones, into the folder given.

Run under the Python that docling is installed in. docling's whole pipeline then runs, without knowing what it sees: it
finds no table and no heading, and takes every line for a text of its own.
"""

import json
import sys
from pathlib import Path

import torch
from docling_ibm_models.tableformer.models.table04_rs.tablemodel04_rs import TableModel04_rs
from safetensors.torch import save_model
from transformers import RTDetrResNetConfig, RTDetrV2Config, RTDetrV2ForObjectDetection

_LABELS = (
    *("caption", "footnote", "formula", "list_item", "page_footer", "page_header", "picture", "section_header"),
    *("table", "text", "title", "document_index", "code", "checkbox_selected", "checkbox_unselected", "form"),
    "key_value_region",
)
_TAGS = ("<pad>", "<unk>", "<start>", "<end>", "ecel", "fcel", "lcel", "ucel", "xcel", "nl", "ched", "rhed", "srow")


def main(folder: Path) -> None:
    torch.manual_seed(0)
    _write_layout(folder / "docling-project--docling-layout-heron")
    for mode in ("accurate", "fast"):
        _write_tables(folder / "docling-project--docling-models" / "model_artifacts" / "tableformer" / mode, mode)


def _write_layout(folder: Path) -> None:
    seen = RTDetrResNetConfig(
        embedding_size=8,
        hidden_sizes=[8, 16, 32, 64],
        depths=[1, 1, 1, 1],
        layer_type="basic",
        out_features=["stage2", "stage3", "stage4"],
    )
    config = RTDetrV2Config(
        backbone_config=seen,
        id2label=dict(enumerate(_LABELS)),
        encoder_hidden_dim=32,
        encoder_in_channels=[16, 32, 64],
        encoder_ffn_dim=32,
        encoder_attention_heads=2,
        d_model=32,
        decoder_in_channels=[32, 32, 32],
        decoder_ffn_dim=32,
        decoder_layers=2,
        decoder_attention_heads=2,
        num_queries=20,
        num_denoising=0,
    )
    model = RTDetrV2ForObjectDetection(config)
    for layer in model.model.decoder.class_embed:
        torch.nn.init.constant_(layer.weight, 0.0)
        torch.nn.init.constant_(layer.bias, -10.0)  # sure of seeing nothing
    model.save_pretrained(folder)
    processor = {"image_processor_type": "RTDetrImageProcessor", "size": {"height": 640, "width": 640}}
    (folder / "preprocessor_config.json").write_text(json.dumps({**processor, "do_normalize": False}))


def _write_tables(folder: Path, mode: str) -> None:
    config = {
        "model": {
            "type": "TableModel04_rs",
            "save_dir": "",
            "enc_image_size": 28,
            "hidden_dim": 512,
            "tag_attention_dim": 256,
            "tag_embed_dim": 16,
            "tag_decoder_dim": 512,
            "bbox_attention_dim": 512,
            "bbox_embed_dim": 256,
            "dropout": 0.1,
            "enc_layers": 1,
            "dec_layers": 1,
            "nheads": 8,
            "bbox_classes": 2,
        },
        "train": {"bbox": True},
        "predict": {"max_steps": 8, "beam_size": 1, "bbox": True, "pdf_cell_iou_thres": 0.05},
        "dataset": {
            "type": "TF_prepared",
            "name": "TF",
            "resized_image": 448,
            "image_normalization": {"state": True, "mean": [0.9, 0.9, 0.9], "std": [0.2, 0.2, 0.2]},
        },
        "dataset_wordmap": {"word_map_tag": {tag: i for i, tag in enumerate(_TAGS)}, "word_map_cell": {}},
    }
    folder.mkdir(parents=True)
    (folder / "tm_config.json").write_text(json.dumps(config))
    model = TableModel04_rs(config, {"word_map": config["dataset_wordmap"]}, "cpu")
    save_model(model, folder / f"tableformer_{mode}.safetensors")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
