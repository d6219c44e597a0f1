"""How the components are wired. Nothing here but wiring: what a step does is in the library."""
