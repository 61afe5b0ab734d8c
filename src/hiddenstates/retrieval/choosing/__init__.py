"""Which strategy is chosen, and how much words weigh beside it."""
