"""The same shop, bought from by a scenario in Python."""

from loadr import check, constant_vus, scenario


@scenario(constant_vus(vus=12, duration="20s"))
async def buy(vu):
    page = await vu.http.get("/items?page=1&delay=uniform:5ms,15ms", name="front page")
    check(page, "front page is there", page.status == 200)
    await vu.think(0.1, 0.4)
    item = page.json()["items"][0]["id"]
    bought = await vu.http.post("/cart?delay=exponential:20ms", name="buy", json={"item": item})
    check(bought, "bought", bought.status == 201)
