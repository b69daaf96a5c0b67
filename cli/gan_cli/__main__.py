"""`python -m gan_cli`, for `torchrun -m gan_cli run ...`."""

from gan_cli import main

main()
