"""Groups of commands with a default command."""

from typing import Any

from adapter.command_line.command_group import CommandGroup


class BeginUnlessSaid(CommandGroup):
    """`canary VERSION …` is `canary begin VERSION …`: the first word is none of its commands."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in {*self.commands, *ctx.help_option_names}:
            args = ["begin", *args]
        return super().parse_args(ctx, args)
