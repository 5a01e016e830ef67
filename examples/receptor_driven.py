"""Receptors that bind glutamate: a pulse, what they have bound, and the calcium that follows."""

from astro_sim.run.simulation import simulate

recording = simulate("gchi_receptor", "square:input=glutamate,high=1 umolar,start=5 s,stop=15 s", duration="40 s",
                     dt="20 ms")
for second in range(0, 41, 4):
    bound, ip3, calcium = (recording[name].values[50 * second, 0] for name in ("Gamma_A", "I", "C"))
    print(f"{second:2} s  bound {bound:.3f}  IP3 {ip3:.2f} uM  calcium {calcium:.3f} uM  " + "#" * round(60 * calcium))
