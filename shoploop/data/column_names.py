"""Other people's words: for columns, and for what people did; only ever a reason to propose something."""

from collections.abc import Mapping

NAMES: Mapping[str, tuple[str, str, str]] = {
    "user": (
        "user userid uid customer customerid cust custid client clientid member memberid visitor visitorid shopper household "
        "householdid buyer buyerid account accountid reviewer reviewerid person personid subscriber msno kunde kundennummer "
        "kundennr kundenid loyaltycard cliente clienteid usuario usuarioid utilisateur acheteur utente klant userpseudoid",
        "session sessionid cookie cookieid device deviceid profile profileid author",
        "user customer client member visitor shopper household buyer reviewer kunde",
    ),
    "item": (
        "item itemid iid product productid sku article articleid asin movie movieid book bookid isbn track trackid song "
        "songid stockcode content contentid offer offerid ean gtin upc listing listingid news newsid recipe recipeid game "
        "gameid aid business businessid artikel artikelnummer artikelnr produkt producto productoid articulo produit "
        "prodotto articolo produto artigo",
        "code artist artistid video videoid poi venue venueid",
        "item product sku article movie book track stock artikel produkt",
    ),
    "time": (
        "time timestamp ts date datetime when eventtime eventdate createdat created invoicedate orderdate purchasedate "
        "transactiondate transactiondt tdat reviewtime unixreviewtime unixtimestamp unixtime datum zeit zeitpunkt "
        "eventtimestamp bestelldatum kaufdatum rechnungsdatum auftragsdatum purchasedon purchasedat orderedon orderedat "
        "boughtat soldat soldon searchedat fecha fechahora horodatage data dataora datahora",
        "day dt at",
        "time timestamp date datum dt",
    ),
    "kind": (
        "kind event eventtype eventname action actiontype behavior behaviour behaviortype behaviourtype activity interaction "
        "interactiontype feedbacktype aktion evento tipoevento accion evenement azione acao "
        "purchased ispurchase ispurchased bought converted conversion clicked isclick liked",
        "type status vorgang rating vote thumbs feedback",
        "event action behavior behaviour",
    ),
    "rating": ("rating ratings stars overall bewertung", "score rate grade", "rating stars"),
    "quantity": (
        "quantity qty pieces units menge anzahl stueck cantidad quantite quantita quantidade aantal",
        "count amount num number",
        "quantity qty",
    ),
    "price": (
        "price unitprice salesprice salesvalue totalprice revenue preis betrag umsatz paid spend einzelpreis stueckpreis "
        "verkaufspreis gesamtpreis listenpreis uvp precio prix prezzo preco prijs importe montant",
        "amount total cost value sales",
        "price revenue preis",
    ),
    "shop": (
        "shop shopid store storeid branch branchid outlet filiale markt tienda magasin negozio loja winkel",
        "location warehouse seller sellerid",
        "shop store",
    ),
    "basket": (
        "basket basketid order orderid orderno ordernumber invoice invoiceno invoiceid transaction transactionid receipt "
        "receiptid ticket cartid bestellung bestellnummer bestellnr auftragsnummer auftragsnr rechnung rechnungsnummer "
        "rechnungsnr bon pedido commande ordine factura",
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
    "query": (
        "query querytext queryterm queryphrase searchquery searchterm searchterms searchphrase searchstring searchtext "
        "keyword keywords suchbegriff suchanfrage suchwort suchtext busqueda consulta recherche requete ricerca pesquisa "
        "zoekterm zoekopdracht", "q search searched phrase term terms typed words", "query search keyword",
    ),
    "image": ("image imageurl img imgurl picture photo bild imurl thumbnail", "", "image picture photo"),
}  # fmt: skip
"""Canonical column to other people's names for it: its own names, names with another meaning too, parts of names."""

NOT_WHEN = frozenset(
    "birth birthday birthdate dob expiry expires expired valid ship shipped shipping delivery delivered registered signup "
    "joined release released publish published updated modified".split()
)
"""Parts of names of times that say something else than when it was done."""

FLAGS = {
    **dict.fromkeys(("1", "true", "yes", "y", "t", "up", "like", "liked", "thumbs_up", "positive"), True),
    **dict.fromkeys(("0", "false", "no", "n", "f", "down", "dislike", "disliked", "thumbs_down", "negative"), False),
}
"""Words of a column that says whether something was done."""

FOREIGN_WORDS = {
    **dict.fromkeys(
        ("pv", "impression", "show", "browse", "open", "play", "listen", "watch", "read", "view_item", "page view", "ansicht",
         "klick", "vista", "visto", "visita", "clic", "vue", "consultation", "visualizzazione", "visualização", "bekeken",
         "浏览", "閲覧"), "view"
    ),
    **dict.fromkeys(
        ("remove_from_cart", "removefromcart", "fav", "favorite", "favourite", "like", "wishlist", "add_to_wishlist", "share",
         "begin_checkout", "cancelled", "canceled", "pending", "failed", "void", "favorito", "favori", "收藏"), "other"
    ),
    **dict.fromkeys(
        ("completed", "complete", "paid", "fulfilled", "kauf", "gekauft", "bestellung", "bestellt", "verkauf", "compra",
         "comprado", "venta", "pedido", "achat", "acheté", "vente", "commande", "acquisto", "ordine", "vendita", "venda",
         "aankoop", "购买", "購入"), "purchase"
    ),
    **dict.fromkeys(
        ("retoure", "rücksendung", "rückgabe", "devolución", "devolucion", "reembolso", "retour", "remboursement", "reso",
         "rimborso", "devolução", "返品"), "return"
    ),
    **dict.fromkeys(
        ("add", "warenkorb", "carrito", "panier", "carrello", "carrinho", "winkelwagen", "加购", "カート"), "cart"
    ),
}  # fmt: skip
"""Words for kinds that loading leaves as they are, and what they are proposed to be."""
