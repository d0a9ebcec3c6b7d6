"""The folder of a run: its files, its checkpoints, and how to open it again."""
