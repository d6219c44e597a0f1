"""Search: a query in words, with or without somebody who asks it, answered from the same items by the same model."""
