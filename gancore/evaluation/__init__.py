"""How good a generator is: figures of generated samples beside real ones."""
