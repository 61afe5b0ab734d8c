"""What a notebook shows: tables, intervals, tests, figures."""
