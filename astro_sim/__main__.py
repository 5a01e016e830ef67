"""The simulator's command line, `astro-sim` or `python -m astro_sim`: its verbs, each a function in show/verbs/."""

from astro_sim.show.verbs import benchmark, dynamics, fits, models, recordings, simulations, sweeps
from foundation.cli import program, run

app = program("""Simulate neurons and astrocytes; every parameter has a unit and a source.

\b
Examples:
  python -m astro_sim list
  python -m astro_sim show li_rinzel:FM
  python -m astro_sim show tripartite --markdown > tripartite.md
  python -m astro_sim cite li_rinzel:FM
  python -m astro_sim run li_rinzel --duration 60s --dt 2ms --out calcium.nc
  python -m astro_sim run li_rinzel --set "K_P=0.06 umolar" --protocol "constant:input=ip3,value=0.4 umolar" --out c.nc
  python -m astro_sim run own.py:MODEL --out own.nc
  python -m astro_sim run macro --protocol "cycles:input=b_pre,high=1,period=11.5s,duty=0.5,count=6" \\
      --option layout=equal --duration 69s --dt 5ms --out macro.nc
  python -m astro_sim sweep li_rinzel --vary "K_P=0.05 umolar,0.1 umolar" --dt 5ms --out sweep --shard 1/2
  python -m astro_sim sweep li_rinzel --vary "input.ip3=0.3 umolar,0.5 umolar" --backend cpp --dt 5ms --out sweep
  python -m astro_sim run astrocyte_network --option n_columns=5000 --duration 3600s --dt 10ms --stream --out long.nc
  python -m astro_sim fit li_rinzel data.csv --free ip3=0.1:1 --free "K_P=0.05:0.2 umolar" --picture fit.png
  python -m astro_sim analyse calcium.nc --events "C>0.3 uM"
  python -m astro_sim plot calcium.nc --out calcium.png
  python -m astro_sim export calcium.nc --to csv
  python -m astro_sim report calcium.nc --out calcium.html
  python -m astro_sim scan li_rinzel --over ip3=0:1:200 --out diagram.json
  python -m astro_sim benchmark --sizes 100,1000
""")

VERBS = {
    "list": models.list_models,
    "show": models.show,
    "cite": models.cite,
    "protocols": models.protocols,
    "run": simulations.run_model,
    "sweep": sweeps.sweep_model,
    "fit": fits.fit_model,
    "analyse": recordings.analyse,
    "plot": recordings.plot,
    "export": recordings.export,
    "report": recordings.report,
    "scan": dynamics.scan_model,
    "benchmark": benchmark.run_benchmark,
}
for verb, function in VERBS.items():
    app.command(verb)(function)


def main() -> None:
    """The console script astro-sim."""
    run(app)


if __name__ == "__main__":
    main()
