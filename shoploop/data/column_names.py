"""Other people's words: for columns, and for what people did; only ever a reason to propose something."""

import re
from collections.abc import Mapping

_BETWEEN = re.compile(r"[\s_.:/-]+")

NAMES: Mapping[str, tuple[str, str, str]] = {
    "user": (
        "user userid uid customer customerid cust custid client clientid member memberid visitor visitorid shopper "
        "household householdid buyer buyerid account accountid reviewer reviewerid person personid subscriber msno "
        "kunde kundennummer kundennr kundenid cliente clienteid usuario usuarioid utilisateur acheteur utente klant "
        "userpseudoid loyaltycard kund kundnr asiakas klient musteri покупатель клиент пользователь 用户 用户id 顾客 "
        "客户 会員 "
        "会員番号 顧客 고객 用户编号 客户id 客户编号 会员 会员id 会员编号 顧客id 顧客番号 会員id 고객id 고객번호 회원 "
        "회원번호 кодклиента musterino kullanici uzytkownik zakaznik vasarlo "
        "borrower borrowerid patron patronid patient patientid bidder bidderid loyaltyno loyaltyid loyaltynumber",
        "username login email emailaddress reader readerid cardid cardno cardnumber paddle "
        "session sessionid cookie cookieid device deviceid profile profileid author",
        "user customer client member visitor shopper household buyer reviewer kunde",
    ),
    "item": (
        "item itemid iid product productid sku article articleid asin movie movieid book bookid isbn track trackid "
        "song songid stockcode content contentid offer offerid ean gtin upc listing listingid news newsid recipe "
        "recipeid game gameid aid business businessid artikel artikelnummer artikelnr produkt producto productoid "
        "articulo produit prodotto articolo produto artigo vara tuote urun товар артикул 商品 商品id 商品编号 商品番号 "
        "상품 商品編號 产品 产品id 产品编号 商品コード 品番 상품id 상품코드 상품번호 кодтовара urunkodu urunid towar "
        "episodeid episodeuri materialnr materialno materialnummer materialnumber materialid materialcode matnr "
        "biblio biblionumber bibid bibnumber pzn",
        "episode partno partnumber partid teilenummer teilenr menuitem menuitemid appid "
        "code variant variantid artist artistid video videoid poi venue venueid 商品名 商品名称 产品名称 品名 상품명 "
        "наименование urunadi nazwa",
        "item product sku article movie book track stock episode lot artikel produkt",
    ),
    "time": (
        "time timestamp ts date datetime when eventtime eventdate createdat created invoicedate orderdate purchasedate "
        "transactiondate transactiondt tdat reviewtime unixreviewtime unixtimestamp unixtime datum zeit zeitpunkt "
        "eventtimestamp bestelldatum belegdatum kaufdatum rechnungsdatum auftragsdatum purchasedon purchasedat orderedon "
        "orderedat boughtat soldat soldon searchedat fecha fechahora horodatage data dataora datahora datedecommande "
        "datecommande dateachat "
        "dato tidspunkt tijd pvm paivays tarih дата время 时间 日期 购买时间 日時 購入日 注文日 날짜 购买日期 下单时间 "
        "日付 購入日時 注文日時 일시 주문일 주문일시 구매일 датаивремя датазаказа siparistarihi",
        "day dt at",
        "time timestamp date datum dt",
    ),
    "kind": (
        "kind event eventtype eventname action actiontype behavior behaviour behaviortype behaviourtype activity "
        "interaction interactiontype feedbacktype aktion evento tipoevento accion evenement azione acao событие 行为 "
        "行動 ereignis ereignistyp ereignisart evenement typeevenement typedevenement typedaction tipodeevento tipoevento "
        "tipoazione tipodeacao tipoacao 事件 行为类型 이벤트 イベント "
        "purchased ispurchase ispurchased bought converted conversion clicked isclick liked",
        "type status vorgang rating vote thumbs feedback",
        "event action behavior behaviour",
    ),
    "rating": (
        "rating ratings stars overall bewertung puntuacion calificacion valoracion estrellas etoiles sterne stelle estrelas "
        "valutazione punteggio avaliacao beoordeling waardering ocena оценка рейтинг 评分 評価 評点 평점 별점 puan betyg",
        "score rate grade note nota nombredetoiles",
        "rating stars",
    ),
    "quantity": (
        "quantity qty pieces units menge anzahl stueck cantidad quantite quantita quantidade aantal antal qte maara "
        "adet ilosc количество 数量 수량 购买数量 個数 колво",
        "packungen packung packs packages tickets karten seats copies exemplare "
        "unitssold unitsordered count amount num number",
        "quantity qty",
    ),
    "price": (
        "price unitprice salesprice salesvalue totalprice revenue preis betrag umsatz paid spend einzelpreis "
        "summe gesamtsumme nettobetrag bruttobetrag "
        "stueckpreis verkaufspreis gesamtpreis listenpreis uvp precio prix prezzo preco prijs importe montant pris "
        "hinta fiyat cena цена сумма 价格 金额 価格 金額 가격 单价 总价 単価 단가 금액 стоимость birimfiyat tutar",
        "linetotal lineamount amount total cost value sales",
        "цена стоимость сумма price revenue preis prix precio prezzo",
    ),
    "shop": (
        "shop shopid store storeid branch branchid outlet filiale zweigstelle "
        "markt tienda magasin negozio loja winkel 店铺 门店 "
        "店舗 店名 매장 지점 магазин magaza sube sklep",
        "location warehouse seller sellerid продавец",
        "shop store",
    ),
    "basket": (
        "basket basketid order orderid orderno ordernumber invoice invoiceno invoiceid transaction transactionid "
        "receipt receiptid ticket cartid bestellung bestellnummer bestellnr auftragsnummer auftragsnr rechnung "
        "rechnungsnummer rechnungsnr belegnummer belegnr bon pedido commande ordine factura "
        "订单 订单号 订单编号 注文番号 伝票番号 "
        "주문번호 заказ номерзаказа чек siparisno zamowienie",
        "visit visitid checkno checknumber",
        "basket order invoice receipt",
    ),
    "title": (
        "title headline name description itemname productname itemtitle producttitle movietitle articlename artikelname "
        "bezeichnung artikelbezeichnung titel prodname episodename "
        "trackname songname moviename bookname libelle designation descripcion "
        "intitule ueberschrift uberschrift schlagzeile titulo titolo titre overskrift "
        "descrizione название наименование 商品名 商品名称 상품명 产品名称 品名 urunadi nazwa",
        "label dish desc descr nombre nome nom naam navn namn nazwaproduktu",
        "title",
    ),
    "category": (
        "category categoryid categoryname categorycode categories department dept class genre genres aisle producttype "
        "productgroup productgroupname subcategory subclass section kategorie warengruppe untergruppe sachgruppe "
        "garmentgroupname group cuisine kueche kuche sparte systematik fachgebiet "
        "ressort rubrik rubrique rubro secteur sector sezione seccion family familie famille familia famiglia "
        "itemcategory productcategory categorie categoria категория 类别 类目 分类 品类 カテゴリ カテゴリー 분류 "
        "카테고리 kategori kategoria",
        "type typ tipo level",
        "category dept department genre",
    ),
    "brand": (
        "brand brandname manufacturer marke hersteller vendor artistname marque marca fabricant fabricante "
        "品牌 ブランド メーカー 브랜드 бренд marka",
        "make maker artist",
        "brand",
    ),
    "image": (
        "image imageurl img imgurl picture photo bild imurl thumbnail",
        "",
        "image picture photo",
    ),
    "query": (
        "query querytext queryterm queryphrase searchquery searchterm searchterms searchphrase searchstring searchtext "
        "keyword keywords suche suchbegriff suchanfrage suchwort suchtext busqueda busca consulta recherche requete "
        "ricerca pesquisa zoekterm zoekopdracht szukaj sokord",
        "q search searched phrase term terms typed words gesucht eingabe",
        "query search keyword such",
    ),
}  # fmt: skip
"""Canonical column to other people's names for it: its own names, names with another meaning too, parts of names."""

NOT_WHEN = frozenset(
    "birth birthday birthdate dob expiry expires expired valid ship shipped shipping delivery delivered registered signup "
    "joined due returned release released publish published updated modified".split()
)
"""Parts of names of times that say something else than when it was done."""

ENDS = frozenset(
    "until till thru through end ends ended ending enddate deadline closing closes expiry bis ende enddatum endet fin fine "
    "limite echeance hasta termino tot einddatum slutdatum slutter slut loppuu bitis koniec do validto validade".split()
)
"""Parts of names of the day up to which something is sold, holds or takes place."""

ENDS_BEGIN = (
    "expir", "ablauf", "auslauf", "gueltigbis", "gultigbis", "caduc", "vencim", "vence", "scaden", "verval", "discontinu",
    "paatty", "wygas", "истека", "окончан",
)  # fmt: skip
"""The same of words that go on in several ways."""

ENDS_HOLD = (
    "截止",
    "到期",
    "有效期",
    "结束",
    "終了",
    "期限",
    "締切",
    "종료",
    "만료",
    "마감",
    "окончани",
    "utløp",
    "udløb",
)
"""The same of words that stand anywhere in a name."""

ENDS_CLOSE = ("validto", "validthru", "validthrough", "availableto", "activeto", "onlineto", "годендо")
"""The same of ends of names."""

DAYS_OF_EVENTS = frozenset(
    "termin eventdate eventday eventtime dateofevent showdate concertdate matchdate gamedate performancedate departure "
    "departuredate traveldate abreise abflug veranstaltungsdatum veranstaltungstag auffuhrung auffuehrung fechaevento "
    "datevenement dataevento".split()
)
"""Names of the day on which something takes place, after which it may not be sold."""

OF_PRICES = frozenset(
    "sale discount promo promotion price special offerprice rabatt preis aktion prix promocion".split()
)
"""What ends by such a name is a price, and the item is sold on."""

ENDINGS_OF_IDS = ("barcode", "nummer", "number", "code", "uri", "key", "num", "id", "no", "nr")
"""What ends the name of an id and does not say of what: customer no, Materialnr, track_uri."""

LINE_NUMBERS = frozenset(
    "pos posnr posno position positionsnr line lineno linenr linenumber lineid lineitem row rowno rownumber rowid seq seqno "
    "sequence index step zeile zeilennr lfdnr".split()
)
"""Names of numbers that count the lines of an order or of a file: neither a person nor a thing."""

MONEY = frozenset("eur euro euros usd gbp chf pln czk sek dkk nok try rub jpy cny krw inr brl mxn cad aud".split())
"""What ends the name of a price and says in which money it is: Summe EUR."""

FLAGS = {
    **dict.fromkeys(("1", "true", "yes", "y", "t", "up", "like", "liked", "thumbs_up", "positive"), True),
    **dict.fromkeys(("0", "false", "no", "n", "f", "down", "dislike", "disliked", "thumbs_down", "negative"), False),
}
"""Words of a column that says whether something was done."""

CURRENCIES = frozenset(
    "currency currencycode currencyid ccy waehrung wahrung wahrungscode devise moneda moeda valuta valuuta mena waluta "
    "parabirimi валюта 通貨 货币 币种 통화".split()
)
"""Names of what says in which money a price is."""

TAKEN_BACK = frozenset("returned refunded refund reversed storno storniert void voided retoure".split())
"""Parts of names of flags that say, where they are true, that goods or money went back."""

NOT_WANTED = TAKEN_BACK | frozenset(
    "skip skipped not dislike disliked cancel cancelled canceled removed deleted rejected declined failed hidden blocked "
    "ignored dismissed abandoned bounced unsubscribed unliked hide block ignore dismiss unsubscribe unlike unfollow "
    "unfollowed uninstall uninstalled unenrol unenroll unenrolled drop dropped withdrawn downvote thumbsdown".split()
)
"""Parts of names of flags that say, where they are true, that something was not wanted."""

FOREIGN_WORDS = {
    **dict.fromkeys(
        ("pv", "impression", "show", "browse", "open", "play", "listen", "watch", "read", "ansicht",
         "klick", "vista", "visto", "visita", "clic", "vue", "consultation", "visualizzazione", "visualização", "bekeken",
         "pageopen", "pageopened", "itemopen", "itemopened", "browsed", "hover", "preview", "previewed", "looked", "besuch",
         "vorschau", "aufruf", "浏览", "閲覧"), "view"
    ),
    **dict.fromkeys(
        ("removefromcart", "fav", "favorite", "favourite", "like", "wishlist", "addtowishlist", "share",
         "begincheckout", "cancelled", "canceled", "pending", "failed", "favorito", "favori", "收藏", "uninstall",
         "uninstalled", "unsubscribe", "unsubscribed", "unenrol", "unenroll", "unenrolled", "unenrolment", "cancel",
         "cancellation", "deinstallation", "deinstalliert", "gekündigt", "abgemeldet",
         "abgebrochen", "abgelehnt", "cancelado", "cancelada", "annulé", "annulée", "annullato", "geannuleerd",
         "desinstalado", "désinstallé", "disinstallato", "取消", "卸载", "キャンセル"), "other"
    ),
    **dict.fromkeys(
        ("completed", "complete", "paid", "fulfilled", "kauf", "gekauft", "bestellung", "bestellt", "verkauf", "compra",
         "comprado", "venta", "pedido", "achat", "acheté", "vente", "commande", "acquisto", "ordine", "vendita", "venda",
         "aankoop", "购买", "購入", "install", "installed", "installiert", "downloaded",
         "heruntergeladen", "subscribe", "subscribed", "booked", "gebucht", "buchung", "bezahlt", "reserved", "reserviert",
         "enrol", "enroll", "enrolled", "enrolment", "enrollment", "enroled", "eingeschrieben", "rented", "borrow",
         "borrowed", "checkedout", "ausleihe", "ausgeliehen", "entliehen", "reservierung", "réservation",
         "prenotazione", "boeking", "geboekt", "préstamo", "prestito", "empréstimo", "emprunt", "uitlening", "descarga",
         "téléchargement", "suscripción", "inscripción", "inscription", "iscrizione", "inschrijving",
         "pagado", "payé", "pagato", "betaald", "réservé", "reservado", "prenotato", "confirmado", "confirmé",
         "confermato", "bestätigt", "instalado", "installé", "installato", "geïnstalleerd", "suscrito", "abonné",
         "iscritto", "inscrito", "ingeschreven", "assinado", "assinatura",
         "预订", "预约", "安装", "订阅", "借阅", "予約", "貸出"),
        "purchase"
    ),
    **dict.fromkeys(
        ("retoure", "rücksendung", "rückgabe", "devolución", "devolucion", "reembolso", "retour", "remboursement", "reso",
         "rimborso", "devolução", "返品", "void", "voided", "storno", "storniert", "stornierung", "gutschrift", "creditnote",
         "creditmemo"), "return"
    ),
    **dict.fromkeys(
        ("add", "warenkorb", "carrito", "panier", "carrello", "carrinho", "winkelwagen", "加购", "カート"), "cart"
    ),
}  # fmt: skip
"""Words for kinds that loading leaves as they are, and what they are proposed to be; :func:`foreign_kind` looks them up."""

CODES = {
    **dict.fromkeys(("gs", "gu", "credit"), "return"),
    **dict.fromkeys(
        ("download", "installation", "abonnement", "pago", "reorder", "reordered", "dispensed", "reserva", "alquiler",
         "noleggio", "aluguel", "huur", "下载", "ダウンロード",
         "book", "booking", "reserve", "reservation", "rent", "rental", "loan", "loaned", "lend",
         "subscription", "abo",
         "oneoff", "onetime", "einmalig", "renewal", "renewed", "verlängerung", "refill", "refilled", "dispense",
         "abgegeben", "confirmed", "noshow", "checkedin", "shipped", "delivered", "deliveredorder", "intransit",
         "processing", "versandt", "versendet", "verschickt", "geliefert", "zugestellt", "enviado", "entregado", "expédié",
         "livré", "spedito", "consegnato", "verzonden", "enviada", "entregue"), "purchase"
    ),
    **dict.fromkeys(
        ("login", "rejected", "expired", "update", "updated", "expire", "logout",
         "drop", "dropped", "withdrawn", "withdrew", "declined", "abandoned",
         "aktualisiert", "abgelaufen"), "other"
    ),
}  # fmt: skip
"""The same of words that mean something else in most columns, countries or means of payment: no column is a kind by these."""

IN_DOUBT = frozenset(
    "pendingpayment awaitingpayment paymentpending awaitingconfirmation onhold requested zahlungausstehend "
    "pendientedepago".split()
)
"""Of an order that was placed and is not paid for yet: chosen, and perhaps never got."""

AT_LAST = (
    "signup signedup register registered registration anmeldung registrierung",
    "play played listen listened watch watched read complete completed finish finished",
)
"""Words of what people want only where a log has no better one, the best first."""

OUTCOMES = frozenset(
    "completed complete finished passed graduated fulfilled paid confirmed checkedout checkedin noshow shipped delivered "
    "intransit processing dispensed bezahlt bestätigt versandt versendet verschickt geliefert zugestellt abgeschlossen "
    "bestanden expired pagado enviado entregado payé expédié livré pagato spedito consegnato betaald verzonden".split()
)
"""What became of something that was chosen: where a log also says when that was, it is none of the choice."""

DROPPED = frozenset(
    "drop dropped unenrol unenroll unenrolled unenrolment withdrawn withdrew abgemeldet abgebrochen".split()
)
"""What ends a choice, and gives it back where that came before."""


def plain_word(word: str) -> str:
    """A word for a kind without what stands between its parts: NO_SHOW and no-show are one."""
    return _BETWEEN.sub("", word.lower())


def foreign_kind(word: str) -> str | None:
    """What a foreign word for a kind is proposed to be, by itself; None where nobody here knows it."""
    return FOREIGN_WORDS.get(plain_word(word))


PARTS_OF_KINDS = (
    ("other", "remove removed wishlist favorite favorites favourite cancel cancelled canceled failed started begin abandoned "
              "shared shipped delivered not login signup registration account newsletter survey"),
    ("return", "return returned refund refunded void voided storno gutschrift"),
    ("view", "view viewed views click clicked clicks detail details impression visit visited"),
    ("cart", "cart basket added"),
    ("purchase", "purchase purchased buy bought order ordered orders sale sold transaction"),
)  # fmt: skip
"""What parts of an unknown word for a kind say of it; the first kind with any of them is proposed."""
