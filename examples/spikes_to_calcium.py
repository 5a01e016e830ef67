"""Spikes raise the IP3 of an astrocyte: how much calcium answers to trains of four rates."""

from astro_sim.run.simulation import simulate

RATES = (0.05, 0.1, 0.2, 0.4)
trains = [f"regular:input=spikes,rate={rate} hertz,count={int(100 * rate)},start=5 s,elements={k}"
          for k, rate in enumerate(RATES)]
recording = simulate("li_rinzel_driven", trains, options={"n": len(RATES)}, duration="105 s", dt="50 ms")
for k, rate in enumerate(RATES):
    calcium, ip3 = (recording[name].values[-400:, k] for name in ("C", "I"))
    print(f"{rate:4} Hz  IP3 {ip3.mean():.2f} uM  calcium {calcium.min():.2f} to {calcium.max():.2f} uM")
