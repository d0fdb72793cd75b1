"""Classifiers with a recurrence as a PyTorch user would write them, for arena_bench.py: MEGA of the blocks of
transformers 4.41.2, and torch.nn.LSTM with attention pooling."""
import packages
from peer_packages import need


def mega(torch, case):
    """Token vectors, blocks with norms behind, mean over the rows, a GELU layer: inputs/lra_two_cores/listops_mega.toml."""
    need(*packages.TRANSFORMERS)
    from transformers.models.mega import modeling_mega
    nn, D = torch.nn, case["width"]
    config = modeling_mega.MegaConfig(
        hidden_size=D, intermediate_size=2 * D, nffn_hidden_size=2 * D, ema_projection_size=16, bidirectional=True,
        shared_representation_size=64, max_positions=case["length"], normalization_type="layernorm",
        num_hidden_layers=case["layers"], normalize_before_mega=False, normalize_before_ffn=False, relative_positional_bias="simple", dropout_prob=0.0,
        hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, nffn_activation_dropout_prob=0.0)

    class Classifier(nn.Module):
        def __init__(self):
            super().__init__()
            self.token = nn.Embedding(257, D)
            self.blocks = modeling_mega.MegaModel(config, add_pooling_layer=False).layers  # with its initial numbers
            self.mlp, self.logits = nn.Linear(D, 2 * D), nn.Linear(2 * D, 2, bias=False)

        def forward(self, tokens):
            h = self.token(tokens).transpose(0, 1)
            for block in self.blocks:
                h = block(h)[0]
            return self.logits(torch.nn.functional.gelu(self.mlp(h.mean(0))))

    return Classifier()


def bilstm(torch, case):
    """inputs/lra_two_cores/listops_bilstm.toml."""
    nn, D = torch.nn, case["width"]

    class Classifier(nn.Module):
        def __init__(self):
            super().__init__()
            self.token = nn.Embedding(257, D)
            self.lstm = nn.LSTM(D, D, case["layers"], batch_first=True, bidirectional=True)
            self.pool, self.score, self.logits = nn.Linear(2 * D, D), nn.Linear(D, 1, bias=False), nn.Linear(2 * D, 2)

        def forward(self, tokens):
            h, _ = self.lstm(self.token(tokens))
            weights = self.score(torch.tanh(self.pool(h))).softmax(1)
            return self.logits((weights * h).sum(1))

    return Classifier()
