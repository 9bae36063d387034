"""Checkpoints: ``find`` turns a name into a file or folder, downloaded if necessary; ``load`` reads it."""
