"""Does the simulator keep the rules of its catalogue? Asked by plain HTTP and by the vendor's own clients."""
