"""Checkpoints: a name becomes a file or a folder (``find``), fetched where necessary, and that a model."""
