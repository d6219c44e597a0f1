"""Pictures of items: read safely, and described by numbers so that what looks alike lies near each other."""
