"""Which shop next: visits, what is remembered of them, and what they say of a shopper and a shop."""
