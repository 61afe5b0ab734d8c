"""Images in their own right: searched for, embedded each time or once, whole or as boxes."""
