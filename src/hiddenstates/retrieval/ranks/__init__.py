"""The rank of every relevant passage under many strategies at once: exact, and compiled."""
