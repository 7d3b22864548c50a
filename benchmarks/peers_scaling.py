"""`make bench-peers_scaling`: our whole stack beside others as the streams and the model grow, with shorter requests.

The page is written after each model, so that an end before the last one loses no more than it must.
"""

import argparse
import signal
import sys

import torch

from benchmarks.awake_servers import servers
from benchmarks.report import Goal, Table, goal_table, write_report
from benchmarks.rounds import ROUNDS, console
from benchmarks.server_turns import METHOD, SECONDS_TO_START, Model, bars, goals, measure, table

_OUTPUT_TOKENS, _PROMPT_TOKENS = (16, 64), (8, 128)
MODELS = (
    Model("25M", torch.float32, {1: 2, 4: 8, 16: 32, 64: 64}, 130, _OUTPUT_TOKENS, _PROMPT_TOKENS),
    Model("135M", torch.bfloat16, {16: 20}, 45, _OUTPUT_TOKENS, _PROMPT_TOKENS),
    Model("2M", torch.float32, {16: 64}, 20, _OUTPUT_TOKENS, _PROMPT_TOKENS),
)

_METHOD = f"""\
{METHOD} Answers have {_OUTPUT_TOKENS[0]} to {_OUTPUT_TOKENS[1]} tokens after prompts of {_PROMPT_TOKENS[0]} to
{_PROMPT_TOKENS[1]}: lengths that differ less cost a server less whose batch ends with its longest answer. A turn of few
requests is such a server's two full batches of 16, or one, and ours runs half of it with fewer than its streams; at 64
streams every request is sent at once. Ours writes an event for each token, the others one answer, which tells most with
the 2M model. It has the shape of models/tiny, which would end its answers by itself."""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="one round: whether it runs")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # the servers are stopped on its way
    rounds = 1 if arguments.quick else arguments.rounds
    seconds = sum(SECONDS_TO_START + (rounds + 0.5) * model.seconds_per_round for model in MODELS)
    console.print(f"about {seconds / 60:.0f} minutes on a quiet machine")
    seen: list[Goal] = []
    tables: list[Table] = []
    plots = []
    for model in MODELS:
        with servers(model.directory(), model.archive_name, arguments.threads) as started:
            figures = measure(model, started, rounds)
        seen += goals(model, figures)
        tables.append(table(model, figures))
        plots.append(bars(model, figures))
        write_report(
            "peers_scaling",
            title="Our whole stack beside other servers, as streams and models grow",
            method=_METHOD.format(threads=arguments.threads),
            tables=[goal_table(seen), *tables],
            plots=plots,
        )


if __name__ == "__main__":
    main()
