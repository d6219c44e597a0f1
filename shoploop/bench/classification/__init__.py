"""Which category an item is of, told from how it is bought and what it is called."""
