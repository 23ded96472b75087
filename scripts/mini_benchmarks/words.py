"""The vocabulary of the mini benchmarks' word problems and instructions."""

HER = ("Mia", "Anna", "Zoe", "Ella", "Ruth", "Lena", "Nora", "Ivy", "Clara", "Sara", "Maya", "Tina", "Olga", "Emma")
HIM = ("Leo", "Tom", "Omar", "Paul", "Finn", "Ben", "Max", "Ivan", "Noah", "Karl", "Hugo", "Sam", "Ali", "Jack")
NAMES = HER + HIM

OBJECTS = (
    *("apples", "marbles", "stickers", "coins", "books", "shells", "pencils", "cards", "stamps", "beads", "cookies"),
    *("eggs", "plums", "stones", "buttons", "tickets", "flowers", "balls", "nuts", "pens", "cups", "pins", "toys"),
    *("candles", "pears", "nails", "bricks", "lemons", "badges", "ribbons"),
)
CONTAINERS = ("boxes", "bags", "packs", "baskets", "jars", "crates", "trays", "tins")

LISTS = {
    "fruits": ("apple", "banana", "cherry", "fig", "grape", "lemon", "mango", "melon", "peach", "pear", "plum"),
    "colors": ("black", "blue", "brown", "gold", "green", "grey", "orange", "pink", "red", "violet", "white"),
    "cities": ("Athens", "Berlin", "Cairo", "Delhi", "Lima", "London", "Oslo", "Paris", "Rome", "Tokyo", "Vienna"),
    "tools": ("axe", "brush", "drill", "file", "hammer", "knife", "ladder", "needle", "saw", "spade", "wrench"),
    "animals": ("ant", "bear", "cat", "dog", "eagle", "fox", "goat", "horse", "lion", "mouse", "owl", "tiger"),
    "sports": ("boxing", "chess", "cricket", "golf", "hockey", "judo", "rowing", "rugby", "sailing", "tennis"),
}

KEYWORDS = (
    *("river", "window", "garden", "silver", "bridge", "summer", "candle", "forest", "letter", "mirror", "island"),
    *("winter", "market", "shadow", "music", "engine", "paper", "castle", "dinner", "travel", "north", "cloud"),
)

ENDINGS = (
    "That is all for now.",
    "I hope this helps.",
    "Thank you for reading.",
    "Now you know.",
    "Is there anything else?",
    "See you next time.",
    "The rest is a secret.",
    "Please tell your friends.",
    "More about it tomorrow.",
    "And so it goes.",
)

EVENTS = ("meeting", "party", "concert", "lesson", "match", "picnic", "lunch", "show", "trip", "exam")
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

ABROAD: dict[str, tuple[str, tuple[str, ...]]] = {
    "German": (
        "de",
        (
            "Das Wetter ist heute sehr schön.",
            "Wir gehen am Abend in die Stadt.",
            "Meine Schwester liest ein Buch.",
            "Der Zug kommt um acht Uhr an.",
            "Die Kinder spielen im Garten.",
        ),
    ),
    "French": (
        "fr",
        (
            "Il fait très beau aujourd'hui.",
            "Nous allons en ville ce soir.",
            "Ma soeur lit un livre.",
            "Le train arrive à huit heures.",
            "Les enfants jouent dans le jardin.",
        ),
    ),
    "Spanish": (
        "es",
        (
            "Hoy hace muy buen tiempo.",
            "Esta noche vamos a la ciudad.",
            "Mi hermana lee un libro muy bonito.",
            "El tren llega a las ocho.",
            "Los niños juegan en el jardín.",
        ),
    ),
    "Italian": (
        "it",
        (
            "Oggi il tempo è molto bello.",
            "Questa sera andiamo in città.",
            "Mia sorella legge un libro.",
            "Il treno arriva alle otto.",
            "I bambini giocano nel giardino.",
        ),
    ),
}
"""Per language its code and its sentences, by subject: weather, evening, sister, train, children."""
SUBJECTS = ("the weather", "this evening", "my sister", "the train", "the children")
