"""Where a model comes from, what its folder publishes, and the parts of it that are taken as they are."""
