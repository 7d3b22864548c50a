"""Faults that tests make already, and what they then see to: nothing is lost, and nothing is wrong."""

from typing import NamedTuple


class Listed(NamedTuple):
    """file: below tests/."""

    fault: str
    file: str
    test: str


LISTED = (
    # Processes that die, hang or are stopped.
    Listed(
        "kill -9 of the worker before any text",
        "end_to_end/test_departures_and_faults.py",
        "test_worker_that_is_killed_before_any_text_fails_no_unary_request",
    ),
    Listed(
        "kill -9 of the worker in the middle of streams",
        "end_to_end/test_departures_and_faults.py",
        "test_worker_that_is_killed_comes_back_and_its_streams_go_on",
    ),
    Listed(
        "kill -9 of the worker under as many as it has slots",
        "end_to_end/test_comebacks.py",
        "test_a_worker_that_is_killed_under_as_many_as_it_has_slots_fails_none_of_them",
    ),
    Listed(
        "a request of which two workers die",
        "end_to_end/test_comebacks.py",
        "test_what_was_there_at_death_after_death_is_told_so",
    ),
    Listed(
        "kill -9 of TorchServe under callers",
        "end_to_end/test_comebacks.py",
        "test_a_torchserve_that_is_killed_under_callers_fails_none_of_them",
    ),
    Listed(
        "TorchServe stands still",
        "end_to_end/test_comebacks.py",
        "test_a_torchserve_that_stands_still_is_killed_and_its_callers_are_answered",
    ),
    Listed(
        "TorchServe stands still for two seconds",
        "end_to_end/test_departures_and_faults.py",
        "test_java_that_stalls_for_two_seconds_loses_and_changes_nothing",
    ),
    Listed(
        "the worker stands still",
        "end_to_end/test_comebacks.py",
        "test_it_is_not_ready_while_its_worker_stands_still",
    ),
    Listed(
        "the worker's device is lost",
        "end_to_end/test_worker_errors.py",
        "test_worker_whose_device_is_lost_ends_its_answers_and_another_takes_its_place",
    ),
    Listed(
        "a step of the engine that does not end",
        "handlers/test_run_ahead.py",
        "test_step_that_does_not_end_ends_the_worker",
    ),
    Listed(
        "steps of the engine that fail, one after the other",
        "handlers/test_run_ahead.py",
        "test_third_step_in_a_row_that_fails_ends_the_worker",
    ),
    Listed(
        "200 callers that drop their streams",
        "end_to_end/test_dropped_streams.py",
        "test_two_hundred_dropped_streams_leave_no_request_slot_or_socket",
    ),
    Listed(
        "one of two gateways is stopped under callers",
        "end_to_end/load_balancer/test_restarts.py",
        "test_one_of_two_gateways_is_stopped_and_started_again",
    ),
    # Deployments, rollbacks and canaries.
    Listed(
        "a command is killed at each of its steps (deploy, promote, rollback, retire)",
        "end_to_end/versions/test_killed_commands.py",
        "test_a_signal_leaves_nothing_half_done",
    ),
    Listed(
        "a command is cut short at each step, simulated",
        "adapter/versions/test_interruptions.py",
        "test_wherever_it_is_cut_short_it_is_done_or_undone_or_shown_as_open",
    ),
    Listed(
        "the disk fills at each step of a command",
        "end_to_end/versions/test_killed_commands.py",
        "test_a_disk_that_fills_leaves_nothing_half_done",
    ),
    Listed(
        "a new worker is killed again and again while it loads",
        "end_to_end/versions/test_bad_deployments.py",
        "test_a_worker_that_is_killed_again_and_again_while_it_loads",
    ),
    Listed(
        "a byte of an archive has changed",
        "end_to_end/versions/test_bad_deployments.py",
        "test_a_byte_that_has_changed",
    ),
    Listed(
        "TorchServe is gone before a deployment",
        "end_to_end/versions/test_bad_deployments.py",
        "test_torchserve_that_is_gone",
    ),
    Listed(
        "a canary's command is killed",
        "end_to_end/versions/test_canary.py",
        "test_a_canary_that_is_killed_leaves_all_requests_to_the_default",
    ),
    # Disk, keys, clock and descriptors.
    Listed(
        "a deployment onto a full disk",
        "end_to_end/versions/test_bad_deployments.py",
        "test_a_disk_that_takes_no_more",
    ),
    Listed(
        "a full disk under a file that is written anew",
        "adapter/test_disk_space.py",
        "test_a_full_disk_leaves_the_content_of_before",
    ),
    Listed(
        "TorchServe's keys expire",
        "end_to_end/test_key_renewal.py",
        "test_an_expired_key_is_refused_and_the_next_one_is_taken",
    ),
    Listed(
        "the keys expire before a deployment",
        "end_to_end/versions/test_bad_deployments.py",
        "test_keys_that_have_expired",
    ),
    Listed(
        "the wall clock is set back",
        "adapter/generation/test_rate_limit.py",
        "test_a_wall_clock_that_is_set_back_changes_nothing",
    ),
    Listed(
        "a host's clock is not that of the others",
        "adapter/generation/test_shared_rate.py",
        "test_the_clock_is_that_of_redis",
    ),
    Listed(
        "there are no file descriptors left",
        "adapter/http/test_few_descriptors.py",
        "test_descriptors_that_are_gone_are_said_in_one_line",
    ),
    Listed(
        "connections that send nothing take all there are",
        "adapter/http/test_few_descriptors.py",
        "test_connections_that_nobody_uses_keep_nobody_out",
    ),
    # TorchServe that says what is not so, and sockets.
    Listed(
        "an answer ends without its last event",
        "adapter/torchserve/test_inference_failures.py",
        "test_an_answer_that_ends_cleanly_but_without_done_is_a_dead_worker",
    ),
    Listed(
        "an event is cut",
        "adapter/torchserve/test_inference_failures.py",
        "test_an_event_that_is_cut_short_is_a_dead_worker",
    ),
    Listed(
        "silence in the middle of an answer",
        "adapter/torchserve/test_inference_failures.py",
        "test_silence_between_events_has_a_deadline",
    ),
    Listed(
        "somebody else answers at TorchServe's port",
        "adapter/torchserve/test_inference_failures.py",
        "test_an_answer_without_an_id_is_not_torchserves",
    ),
    Listed(
        "junk in place of events",
        "adapter/torchserve/test_failure_corpus.py",
        "test_junk_instead_of_events_has_one_code",
    ),
    Listed(
        "junk in place of a description",
        "adapter/torchserve/test_failure_corpus.py",
        "test_junk_instead_of_a_description_has_one_code",
    ),
    # Compilation.
    Listed(
        "a build of steps is killed twice",
        "handlers/test_background_compilation.py",
        "test_a_build_that_a_signal_ended_twice_is_not_tried_again",
    ),
    Listed(
        "a build goes down with its worker twice",
        "handlers/test_background_compilation.py",
        "test_a_build_that_went_down_with_its_worker_twice_is_not_tried_again",
    ),
    Listed(
        "compiled steps that cannot be loaded",
        "handlers/test_background_compilation.py",
        "test_steps_that_are_there_but_cannot_be_loaded_are_made_anew",
    ),
    # Redis and registries.
    Listed(
        "Redis is killed, and comes back, under a cache",
        "adapter/generation/test_redis_store.py",
        "test_without_redis_everything_runs_and_with_it_again_nothing_twice",
    ),
    Listed(
        "Redis is killed, and comes back, under a limit of rates",
        "adapter/generation/test_shared_rate.py",
        "test_without_redis_each_gateway_counts_for_itself_and_with_it_again_all_together",
    ),
    Listed(
        "Redis hangs",
        "adapter/generation/test_shared_rate.py",
        "test_a_redis_that_hangs_holds_nobody",
    ),
    Listed(
        "Redis is full",
        "adapter/generation/test_redis_store.py",
        "test_a_full_redis_is_no_failure_and_no_answer_is_logged",
    ),
    Listed(
        "Redis has lost all that it had",
        "adapter/generation/test_shared_counts.py",
        "test_a_redis_that_lost_all_has_it_again_from_those_that_go_on",
    ),
    Listed(
        "a registry's connection breaks now and then",
        "adapter/artifacts/test_broken_connections.py",
        "test_a_connection_that_breaks_now_and_then_is_made_again_where_it_ended",
    ),
    Listed(
        "a bit flips in a registry's storage",
        "adapter/artifacts/test_damage.py",
        "test_wherever_a_bit_flips_nothing_else_than_was_pushed_is_pulled",
    ),
)
