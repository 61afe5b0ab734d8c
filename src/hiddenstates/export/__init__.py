"""Out of the lab: a chosen embedding as a folder that sentence-transformers loads."""
