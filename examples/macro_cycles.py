"""Six cycles of the macro model: short-term processes follow each, the long-term ones add up and saturate."""

from astro_sim.run.simulation import simulate

CYCLE = 11.5  # seconds
drive = "cycles:input={},high=1,period=11.5s,duty=0.5,count=6"
recording = simulate("macro", [drive.format("b_pre"), drive.format("b_post")], duration=f"{6 * CYCLE} s", dt="10 ms",
                     record_every="500 ms")
for cycle in range(1, 7):
    top, end = (int(2 * CYCLE * (cycle - share)) for share in (0.5, 0.0))
    fast, slow = recording["p_s"].values[top].mean(), recording["p_l"].values[end].mean()
    print(f"cycle {cycle}: short-term {fast:.3f} at the end of the drive, long-term {slow:.4f} at the end of the cycle")
