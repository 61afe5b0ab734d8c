"""A corpus that is larger than memory, encoded in shards: in this process or on a cluster."""
