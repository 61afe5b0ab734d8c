"""Too many hidden states to try every set of them: a search, and exact scores of what it finds.

`near` gathers for each query the passages that matter to its measure; `toggles` ranks among these what one state more
or less makes of a set; `best_first` follows the best; `listed` scores what it found on all passages, exactly; `spaces`
puts them together.
"""
