"""Items found by photos of them, those of which no photo was learned from among them."""
