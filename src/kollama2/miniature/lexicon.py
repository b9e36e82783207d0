"""The words of the world: aligned Korean and English entries with their classes."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Noun:
    """One thing in both languages.

    `kind` says in which frames it fits; `unit` is its Korean counter; `named` marks proper names,
    whose Latin spelling follows in brackets at first mention; `she` is a person's gender;
    `adnominal` is the form of a colour before a noun; `mass` English nouns have no plural.
    """

    ko: str
    en: str
    kind: str
    unit: str = "개"
    named: bool = False
    she: bool = False
    adnominal: str = ""
    mass: bool = False
    pair: bool = False


@dataclass(frozen=True)
class Verb:
    """A verb or an adjective in both languages; `kind` says in which frames it fits."""

    ko: str
    en: str
    kind: str
    adjective: bool = False


PEOPLE_TEXT = """
미라 Mira f|지훈 Jihun m|서연 Seoyeon f|하준 Hajun m|유나 Yuna f|도윤 Doyun m|민서 Minseo f|태오 Teo m
소라 Sora f|준호 Junho m|은별 Eunbyeol f|가온 Gaon m|나리 Nari f|동하 Dongha m|보람 Boram f|강민 Gangmin m
슬기 Seulgi f|우진 Ujin m|아라 Ara f|재민 Jaemin m|찬미 Chanmi f|정우 Jeongu m|채린 Chaerin f|한솔 Hansol m
혜진 Hyejin f|희수 Huisu m|경아 Gyeonga f|기태 Gitae m|다은 Daeun f|산하 Sanha m|로아 Roa f|선우 Seonu m
수빈 Subin f|시온 Sion m|진솔 Jinsol f|명호 Myeongho m|해인 Haein f|영수 Yeongsu m|두리 Duri f|이준 Ijun m
"""
TOWNS_TEXT = """
도담 Dodam|한빛 Hanbit|새벌 Saebeol|가람 Garam|솔내 Solnae|미르 Mireu|나루 Naru|단비 Danbi|여울 Yeoul|봄내 Bomnae
은하 Eunha|달래 Dallae|큰들 Keundeul|해담 Haedam|버들 Beodeul|참샘 Chamsaem|너울 Neoul|솔재 Soljae|무란 Muran|차돌 Chadol
"""
# ko en unit; * = no English plural, = = always plural and counted in pairs
NOUNS_TEXT = {
    "fruit": "사과 apple 개|배 pear 개|복숭아 peach 개|수박 watermelon 개|귤 tangerine 개|딸기 strawberry 개",
    "snack": "빵 bread* 개|만두 dumpling 개|떡 rice_cake 개|달걀 egg 개|과자 cookie 개",
    "meal": "국수 noodle_soup* 그릇|비빔밥 bibimbap* 그릇|죽 porridge* 그릇|미역국 seaweed_soup* 그릇",
    "drink": "물 water* 잔|우유 milk* 잔|녹차 green_tea* 잔|커피 coffee* 잔|주스 juice* 잔",
    "pet": "고양이 cat 마리|개 dog 마리|토끼 rabbit 마리|새 bird 마리|거북이 turtle 마리|물고기 fish 마리",
    "farm": "말 horse 마리|소 cow 마리|돼지 pig 마리|닭 chicken 마리|오리 duck 마리|양 sheep 마리",
    "wild": "곰 bear 마리|여우 fox 마리|사슴 deer 마리|원숭이 monkey 마리|코끼리 elephant 마리|호랑이 tiger 마리",
    "worn": "코트 coat 벌|셔츠 shirt 벌|치마 skirt 벌|스웨터 sweater 벌",
    "hat": "모자 hat 개|안경 glasses= 개",
    "shoe": "신발 shoes= 켤레|양말 socks= 켤레|장화 boots= 켤레",
    "read": "책 book 권|잡지 magazine 권|시집 poetry_book 권|만화책 comic_book 권",
    "thing": "가방 bag 개|우산 umbrella 개|시계 clock 개|의자 chair 개|상자 box 개|컵 cup 개|접시 plate 개"
    "|바구니 basket 개|열쇠 key 개|공 ball 개|거울 mirror 개|연필 pencil 자루|칼 knife 자루|피리 flute 개"
    "|북 drum 개|지도 map 장|사진 photo 장|그릇 bowl 개|장갑 gloves= 켤레|종 bell 개",
    "flower": "장미 rose 송이|튤립 tulip 송이|해바라기 sunflower 송이",
    "venue": "시장 market|학교 school|도서관 library|공원 park|병원 hospital|식당 restaurant|빵집 bakery"
    "|역 station|우체국 post_office|박물관 museum|농장 farm|은행 bank|호텔 hotel|극장 theater",
    "job": "의사 doctor 명|교사 teacher 명|요리사 cook 명|농부 farmer 명|어부 fisherman 명|가수 singer 명|화가 painter 명"
    "|작가 writer 명|간호사 nurse 명|경찰관 police_officer 명|기자 reporter 명|목수 carpenter 명|조종사 pilot 명"
    "|약사 pharmacist 명|변호사 lawyer 명|정원사 gardener 명",
    "hobby": "수영 swimming*|낚시 fishing*|등산 hiking*|요리 cooking*|독서 reading*|춤 dancing*|체스 chess*"
    "|뜨개질 knitting*|달리기 running*|노래 singing*|사진 photography*|여행 traveling*",
    "kin": "할머니 grandmother|할아버지 grandfather|어머니 mother|아버지 father",
    "sibling": "동생 younger_sibling",
    "furniture": "탁자 table|책상 desk|의자 chair|침대 bed",
    "spot": "위 on|아래 under|옆 next_to",
    "region": "북쪽 north*|남쪽 south*|동쪽 east*|서쪽 west*|가운데 middle*",
    "sight": "강 river|호수 lake|폭포 waterfall|산 mountain|바닷가 beach|숲 forest|온천 hot_spring|등대 lighthouse",
    "stuff": "나무 wood*|유리 glass*|종이 paper*|가죽 leather*|돌 stone*|쇠 iron*|천 cloth*|은 silver*",
    "past": "어제 yesterday|오늘_아침에 this_morning|지난주에 last_week|토요일에 on_Saturday",
    "future": "내일 tomorrow|다음_주에 next_week|일요일에 on_Sunday",
    "present": "매일 every_day|주말마다 every_weekend|아침마다 every_morning",
}
COLOURS_TEXT = (
    "빨간색 red 빨간|파란색 blue 파란|노란색 yellow 노란|하얀색 white 하얀|까만색 black 까만|"
    "초록색 green 초록색|보라색 purple 보라색|분홍색 pink 분홍색|갈색 brown 갈색|회색 gray 회색"
)
ADJECTIVES_TEXT = {
    "size": "크다 big|작다 small|새롭다 new|무겁다 heavy|가볍다 light|비싸다 expensive|싸다 cheap|예쁘다 pretty|깨끗하다 clean",
    "beast": "크다 big|작다 small|귀엽다 cute|빠르다 fast|느리다 slow|조용하다 quiet|하얗다 white|까맣다 black",
    "taste": "맛있다 delicious|따뜻하다 warm|차갑다 cold|달다 sweet|맵다 spicy",
    "place": "크다 big|작다 small|조용하다 quiet|깨끗하다 clean|아름답다 beautiful|시끄럽다 noisy|가깝다 near",
    "mood": "기쁘다 happy|슬프다 sad|피곤하다 tired|바쁘다 busy|배고프다 hungry|아프다 sick|즐겁다 cheerful",
    "weary": "피곤하다 tired|아프다 sick|춥다 cold",
    "weather": "맑다 clear|흐리다 cloudy|덥다 hot|춥다 cold|따뜻하다 warm",
    "nature": "친절하다 kind|조용하다 quiet|부지런하다 hardworking|용감하다 brave|정직하다 honest",
}
ADJECTIVES = frozenset(
    item.split()[0] for text in ADJECTIVES_TEXT.values() for item in text.split("|")
) | frozenset(
    "유명하다 친하다 많다 좋다 같다 높다 길다 멀다 맞다 않다 쉽다 어렵다 고맙다 반갑다 낫다 무섭다 그렇다".split()
)


def _nouns(kind: str, text: str) -> tuple[Noun, ...]:
    found = []
    for item in text.split("|"):
        ko, en, *unit = item.split()
        mass, pair = en.endswith("*"), en.endswith("=")
        ko, en = ko.replace("_", " "), en.rstrip("*=").replace("_", " ")
        she = en.endswith("mother")
        found.append(Noun(ko, en, kind, *unit, mass=mass, pair=pair, she=she))
    return tuple(found)


def _names(kind: str, text: str) -> tuple[Noun, ...]:
    rows = [item.split() for item in text.replace("\n", "|").strip("|").split("|")]
    return tuple(Noun(r[0], r[1], kind, "명", named=True, she=r[-1] == "f") for r in rows)


NOUNS: dict[str, tuple[Noun, ...]] = {kind: _nouns(kind, text) for kind, text in NOUNS_TEXT.items()}
NOUNS["person"] = PEOPLE = _names("person", PEOPLE_TEXT)
NOUNS["town"] = TOWNS = _names("town", TOWNS_TEXT)
NOUNS["colour"] = tuple(
    Noun(ko, en, "colour", adnominal=adnominal)
    for ko, en, adnominal in (item.split() for item in COLOURS_TEXT.split("|"))
)
NOUNS["animal"] = NOUNS["pet"] + NOUNS["farm"] + NOUNS["wild"]
NOUNS["food"] = NOUNS["fruit"] + NOUNS["snack"] + NOUNS["meal"]
NOUNS["piece"] = NOUNS["fruit"] + NOUNS["snack"]
NOUNS["item"] = tuple(noun for noun in NOUNS["thing"] if not noun.pair)
NOUNS["load"] = tuple(noun for noun in NOUNS["item"] if noun.en in ("bag", "box", "basket"))
NOUNS["walker"] = NOUNS["farm"][:4] + NOUNS["pet"][:3]
NOUNS["goods"] = NOUNS["thing"] + NOUNS["read"]

VERBS: dict[str, tuple[Verb, ...]] = {
    kind: tuple(Verb(*item.split(), kind, adjective=True) for item in text.split("|"))
    for kind, text in ADJECTIVES_TEXT.items()
}
ALL_NOUNS: tuple[Noun, ...] = tuple(dict.fromkeys(n for group in NOUNS.values() for n in group))
