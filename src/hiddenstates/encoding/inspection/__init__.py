"""What can be seen of an encoder and its states without a search."""
