"""Whether weights mean something: flipped labels that they must find, and trainings that they must not make worse."""
