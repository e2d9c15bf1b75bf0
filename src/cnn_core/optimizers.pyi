from cnn_core.optimizer_rule import Rule

def __getattr__(name: str) -> Rule: ...  # every public name is a rule
