"""Room 2: load shapes, arrivals, slots and their owners. Pure functions of the plan, the seed and time."""
