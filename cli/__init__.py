"""The command line: one file for each group of commands; what is printed for people stands in ``cli.show``.

A command imports what it needs when it runs: ``--help`` and most commands import neither Prefect nor torch.
"""
