"""Other people's words: for columns, and for what people did; only ever a reason to propose something."""

from collections.abc import Mapping

NAMES: Mapping[str, tuple[str, str, str]] = {
    "user": (
        "user userid uid customer customerid cust custid client clientid member memberid visitor visitorid shopper household "
        "householdid buyer buyerid account accountid reviewer reviewerid person personid subscriber msno kunde kundennummer "
        "kundennr kundenid",
        "session sessionid cookie cookieid device deviceid profile profileid author",
        "user customer client member visitor shopper household buyer reviewer kunde",
    ),
    "item": (
        "item itemid iid product productid sku article articleid asin movie movieid book bookid isbn track trackid song "
        "songid stockcode content contentid offer offerid ean gtin upc listing listingid news newsid recipe recipeid game "
        "gameid aid business businessid artikel artikelnummer artikelnr produkt",
        "code artist artistid video videoid poi venue venueid",
        "item product sku article movie book track stock artikel produkt",
    ),
    "time": (
        "time timestamp ts date datetime when eventtime eventdate createdat created invoicedate orderdate purchasedate "
        "transactiondate transactiondt tdat reviewtime unixreviewtime unixtimestamp unixtime datum zeit zeitpunkt "
        "eventtimestamp bestelldatum kaufdatum rechnungsdatum auftragsdatum",
        "day dt at",
        "time timestamp date datum dt",
    ),
    "kind": (
        "kind event eventtype eventname action actiontype behavior behaviour behaviortype behaviourtype activity interaction "
        "interactiontype feedbacktype aktion",
        "type status vorgang",
        "event action behavior behaviour",
    ),
    "rating": ("rating ratings stars overall bewertung", "score rate grade", "rating stars"),
    "quantity": ("quantity qty pieces units menge anzahl stueck", "count amount num number", "quantity qty"),
    "price": (
        "price unitprice salesprice salesvalue totalprice revenue preis betrag umsatz paid spend einzelpreis stueckpreis "
        "verkaufspreis gesamtpreis listenpreis uvp",
        "amount total cost value sales",
        "price revenue preis",
    ),
    "shop": (
        "shop shopid store storeid branch branchid outlet filiale markt", "location warehouse seller sellerid", "shop store",
    ),
    "basket": (
        "basket basketid order orderid orderno ordernumber invoice invoiceno invoiceid transaction transactionid receipt "
        "receiptid ticket cartid bestellung bestellnummer bestellnr auftragsnummer auftragsnr rechnung rechnungsnummer "
        "rechnungsnr bon",
        "visit visitid",
        "basket order invoice receipt",
    ),
    "title": (
        "title name description itemname productname itemtitle producttitle movietitle articlename artikelname bezeichnung "
        "titel prodname trackname songname moviename bookname", "label", "title",
    ),
    "category": (
        "category categoryid categoryname categorycode categories department dept class genre genres aisle producttype "
        "productgroup productgroupname subcategory subclass section kategorie warengruppe garmentgroupname group "
        "itemcategory productcategory",
        "type level", "category dept department genre",
    ),
    "brand": ("brand brandname manufacturer marke hersteller vendor artistname", "make maker", "brand"),
    "image": ("image imageurl img imgurl picture photo bild imurl thumbnail", "", "image picture photo"),
}  # fmt: skip
"""Canonical column to other people's names for it: its own names, names with another meaning too, parts of names."""

FOREIGN_WORDS = {
    **dict.fromkeys(("pv", "impression", "show", "browse", "open", "play", "listen", "watch", "read"), "view"),
    **dict.fromkeys(("remove_from_cart", "removefromcart", "fav", "favorite", "favourite", "like", "wishlist", "share"),
                    "other"),
    "add": "cart",
    **dict.fromkeys(("kauf", "gekauft", "bestellung", "bestellt", "verkauf"), "purchase"),
    **dict.fromkeys(("retoure", "rücksendung", "rückgabe"), "return"),
    **dict.fromkeys(("ansicht", "klick"), "view"),
    "warenkorb": "cart",
}  # fmt: skip
"""Words for kinds that loading leaves as they are, and what they are proposed to be."""
