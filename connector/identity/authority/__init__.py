"""The authority of a data space: its members, what it attests of them, and how it takes that back."""
