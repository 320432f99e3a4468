"""Deconvolution: what blurs, its adjoint, and the ways back, as operators on (N, C, H, W) images.

y = A(x) + n: a convolution A blurred the photo x, and noise n of standard deviation sigma was added. A transposed
convolution is A's *adjoint*, Aᵀ, not its inverse: ⟨A x, y⟩ = ⟨x, Aᵀ y⟩. The inverse divides in the Fourier domain.
"""

LARGEST = 257  # pixels a side of a kernel
FORMS = "gaussian:SIGMA, defocus:RADIUS or motion:LENGTH,ANGLE"  # of a kernel in words
