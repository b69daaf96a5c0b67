"""Why a sample is as it is: what the discriminator minds of it, what it is near to, which layers make what of it."""
