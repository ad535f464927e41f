"""The tenant probe: asks a service, real or simulated, whether the rules of the catalogue hold."""
