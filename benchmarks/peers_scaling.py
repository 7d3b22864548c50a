"""`make bench-peers_scaling`: our whole stack beside others as the streams and the model grow, with shorter requests.

The page is written after each model, so that an end before the last one loses no more than it must.
"""

import torch

from benchmarks.awake_servers import servers
from benchmarks.command_line import exit_on_sigterm, parse_arguments
from benchmarks.report import Goal, Table, goal_table, write_report
from benchmarks.rounds import console
from benchmarks.server_turns import METHOD, SECONDS_TO_START, Model, bars, goals, measure, tables

_OUTPUT_TOKENS, _PROMPT_TOKENS = (16, 64), (8, 128)
MODELS = (
    Model("25M", torch.float32, {1: 2, 4: 8, 16: 64, 64: 64}, 190, _OUTPUT_TOKENS, _PROMPT_TOKENS),
    Model("135M", torch.bfloat16, {16: 32}, 95, _OUTPUT_TOKENS, _PROMPT_TOKENS),
    Model("2M", torch.float32, {16: 64}, 25, _OUTPUT_TOKENS, _PROMPT_TOKENS),
)

_METHOD = f"""\
{METHOD} Answers have {_OUTPUT_TOKENS[0]} to {_OUTPUT_TOKENS[1]} tokens after prompts of {_PROMPT_TOKENS[0]} to
{_PROMPT_TOKENS[1]}: lengths that differ less cost a server less whose batch ends with its longest answer. At 64
streams every request is sent at once. The 2M model has the shape of models/tiny, which would end its answers by
itself."""


def main() -> None:
    arguments = parse_arguments()
    exit_on_sigterm()
    seconds = sum(SECONDS_TO_START + (arguments.rounds + 0.5) * model.seconds_per_round for model in MODELS)
    console.print(f"about {seconds / 60:.0f} minutes on a quiet machine")
    seen: list[Goal] = []
    shown: list[Table] = []
    plots = []
    for model in MODELS:
        with servers(model.directory(), arguments.threads) as started:
            figures = measure(model, started, arguments.rounds)
        seen += goals(model, figures)
        shown += tables(model, figures)
        plots.append(bars(model, figures))
        write_report(
            "peers_scaling",
            title="Our whole stack beside other servers, as streams and models grow",
            method=_METHOD.format(threads=arguments.threads),
            tables=[goal_table(seen), *shown],
            plots=plots,
        )


if __name__ == "__main__":
    main()
