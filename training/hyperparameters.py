"""Every number that decides what models/tiny becomes, with its default."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Hyperparameters:
    seed: int = 7

    num_training_stories: int = 24_000
    num_held_out_stories: int = 600

    vocabulary_size: int = 2048
    hidden_size: int = 192
    intermediate_size: int = 384
    num_layers: int = 4
    num_attention_heads: int = 6
    num_key_value_heads: int = 3
    head_dim: int = 32
    max_position_embeddings: int = 1024

    stories_per_step: int = 8
    peak_learning_rate: float = 3e-3
    final_learning_rate: float = 1e-4
    warmup_steps: int = 100
    weight_decay: float = 0.05
    gradient_clip: float = 1.0
    num_threads: int = 2
