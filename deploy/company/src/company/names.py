"""What the made-up people are called; any likeness is chance."""

from collections.abc import Iterator
from random import Random
from typing import Final
from unicodedata import normalize

FIRST: Final = (
    *("Ana", "Beatriz", "Bruno", "Caio", "Camila", "Carla", "Carolina", "César", "Cláudia", "Daniel"),
    *("Débora", "Diego", "Eduardo", "Elisa", "Estela", "Fábio", "Felipe", "Fernanda", "Flávia", "Gabriel"),
    *("Gabriela", "Gustavo", "Heitor", "Helena", "Henrique", "Igor", "Isabela", "Ítalo", "Jéssica", "João"),
    *("Jorge", "Júlia", "Karina", "Larissa", "Laura", "Leandro", "Letícia", "Lívia", "Lucas", "Luíza"),
    *("Marcelo", "Márcia", "Mariana", "Marina", "Mateus", "Murilo", "Natália", "Nicolas", "Otávio", "Patrícia"),
    *("Paulo", "Pedro", "Priscila", "Rafael", "Renata", "Rodrigo", "Sérgio", "Sofia", "Tatiana", "Vinícius"),
)
LAST: Final = (
    *("Albuquerque", "Almeida", "Araújo", "Azevedo", "Barbosa", "Barros", "Batista", "Borges", "Brandão", "Campos"),
    *("Cardoso", "Carvalho", "Castro", "Cavalcanti", "Conceição", "Correia", "Costa", "Cunha", "Dias", "Duarte"),
    *("Farias", "Ferreira", "Fonseca", "Freitas", "Gomes", "Gonçalves", "Guimarães", "Leite", "Lima", "Lopes"),
    *("Macedo", "Machado", "Magalhães", "Marques", "Martins", "Melo", "Mendes", "Miranda", "Monteiro", "Moraes"),
    *("Moreira", "Nascimento", "Nogueira", "Nunes", "Pacheco", "Peixoto", "Pereira", "Pinheiro", "Pires", "Ramos"),
    *("Rezende", "Ribeiro", "Rocha", "Sampaio", "Santana", "Siqueira", "Tavares", "Teixeira", "Vasconcelos", "Vieira"),
)


def draw_names(random: Random) -> Iterator[str]:
    """Names of which no two are alike, also without their accents; as many as there are."""
    names = [f"{first} {last}" for first in FIRST for last in LAST]
    random.shuffle(names)
    yield from names


def plain(text: str) -> str:
    """In small letters of ASCII, as an address has it."""
    return normalize("NFD", text).encode("ascii", "ignore").decode().lower()
