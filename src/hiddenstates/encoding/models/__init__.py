"""From a model's name to its files, what they publish as its embedding, and the boxes that a vision model gives."""
