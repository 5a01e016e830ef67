"""Neurons and astrocytes simulated: parameters with sources, models as ODE text, protocols, recordings.

    from astro_sim.simulate import simulate
    recording = simulate("li_rinzel", duration="60 s", dt="2 ms")
"""
