"""The networks: bi-encoders, whose document side is frozen and whose query side is trained, and the cross-encoder."""
