"""Work that outlives a killed step."""
