"""What a model is: ODE text and its symbols, populations, connections, inputs, options, checked as one."""
