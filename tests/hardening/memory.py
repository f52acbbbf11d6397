"""A stopped process's memory, and the search for secrets in it."""

import base64
import re

PIECE = 24  # a freed block loses its first bytes to the allocator: any piece of a secret counts


def regions(pid):
    """(start, end, name) of what the process can write: where copies of secrets can be."""
    with open(f"/proc/{pid}/maps", encoding="utf-8") as file:
        for line in file:
            span, mode, *_, = line.split()
            if mode.startswith("rw") and "[vv" not in line:
                yield (*[int(each, 16) for each in span.split("-")], line.split()[-1])


def read(pid):
    """Everything, as one text; regions do not touch."""
    parts = []
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for start, end, _ in regions(pid):
            memory.seek(start)
            try:
                parts.append(memory.read(end - start))
            except OSError as error:
                raise AssertionError(f"memory {start:x}-{end:x} cannot be read: {error}") from None
    return b"\0".join(parts)


def pieces(text):
    """TEXT cut up; what is shorter than a piece is one."""
    return {text[at:at + PIECE] for at in range(0, max(len(text) - PIECE, 0) + 1, PIECE)}


def forms(secret):
    """Each way in which SECRET (bytes) may stand in memory: name → text."""
    encoded = base64.b64encode(secret)
    return {"raw": secret, "limbs": secret[::-1], "hex": secret.hex().encode(), "HEX": secret.hex().upper().encode(),
            "base64": encoded.rstrip(b"="), "base64url": encoded.rstrip(b"=").translate(bytes.maketrans(b"+/", b"-_"))}


def found(memory, secrets):
    """Which SECRETS (name → bytes) are there, and how: {"name (form)"}."""
    return {f"{name} ({form})" for name, secret in secrets.items() for form, text in forms(secret).items()
            if any(piece in memory for piece in pieces(text))}


def rsa_parts(private):
    """The private numbers of an RSA key, as bytes."""
    numbers = private.private_numbers()
    values = {"d": numbers.d, "p": numbers.p, "q": numbers.q, "dp": numbers.dmp1, "dq": numbers.dmq1, "qi": numbers.iqmp}
    return {name: value.to_bytes((value.bit_length() + 7) // 8, "big") for name, value in values.items()}


def factor(memory, modulus):
    """A prime of MODULUS among what lies in MEMORY as a number of 64-bit limbs; None if there is none."""
    size = modulus.bit_length() // 16
    for at in range(0, len(memory) - size, 1):
        # Primes are odd, and as half of a modulus have their highest bits set.
        if memory[at] & 1 and memory[at + size - 1] >= 0xB5:
            number = int.from_bytes(memory[at:at + size], "little")
            if modulus % number == 0:
                return number
    return None


def signatures(memory):
    """The secret parts of the JWTs that lie in MEMORY."""
    tokens = re.findall(rb"eyJ[A-Za-z0-9_-]+\.eyJ[A-Za-z0-9_-]+\.([A-Za-z0-9_-]{80,})", memory)
    return set(tokens)
