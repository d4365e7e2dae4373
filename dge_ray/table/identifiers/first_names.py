"""First names that are usual in Europe, the Americas and Asia: a column of names of persons holds some of them."""

_USUAL = """
aaron abdul adam adrian ahmed aisha alan albert alejandro alex alexander alexandra alfred ali alice alicia allison
amanda amber amelia amir amy ana andrea andreas andrei andrew angela anita ann anna anne annette anthony antonio
ariana arthur ashley astrid barbara beatrice ben benjamin bernard bernd beth betty bianca bill birgit bob boris
bradley brandon brenda brian britta bruce bruno camila carl carla carlos carmen carol caroline catherine cathy
cecilia chad charles charlotte chen chloe chris christian christina christine christopher claire clara claudia
claus craig cristina cynthia daniel daniela danielle david deborah debra denise dennis derek diana diane diego
dieter dirk dmitri donald donna dorothy douglas dylan edgar eduardo edward eleanor elena eli elias elisabeth
elizabeth ella ellen emily emma eric erik erika ernst esther ethan eva evan evelyn fatima felix fernando fiona
florian francesca francesco francis francisco frank franz fred frida friedrich gabriel gabriela gary georg george
gerald gerhard gloria grace greg gregory greta guido gustav hanna hannah hans harold harry hassan heather hector
heidi heike heinrich heinz helen helena helga henry herbert holger hugo ibrahim ida igor ines inga ingrid irene
irina isaac isabel isabella ivan jack jacob jacqueline jakob james jamie jan jane janet janice jason javier jean
jeff jeffrey jennifer jens jeremy jerry jesse jessica jesus jill jim joan joanna joe johan johann johanna john
jonas jonathan jordan jorge jose josef joseph joshua joyce juan judith judy julia julian julie jun justin karen
karin karl karolina kate katharina katherine kathleen kathy katrin keith kelly ken kenneth kevin kim klara klaus
kristin kurt kyle larry lars laura lauren lea lena leo leon leonard li liam lina linda lisa lorenzo louis louise
luca lucas lucia lucy luis luisa lukas maggie manuel manuela marc marco marcus margaret margarita maria marie
mario marion mark markus marta martha martin martina mary mateo matteo matthew matthias maurice max maximilian
megan mei melanie melissa mia michael michaela michel michelle miguel mike mila miriam mohamed mohammad mohammed
monica monika muhammad nadia nancy natalia natalie nathan nicholas nicole nikolai nina noah nora norbert oliver
olivia omar oscar oskar otto pablo pamela patricia patrick paul paula paulo pedro peggy peter petra philip philipp
pierre priya rachel rafael rainer ralf ralph ramon raul raymond rebecca renate ricardo richard rita robert roberta
roberto robin roger roland ron ronald rosa rose roy ruben rudolf ruth ryan sabine sally sam samantha samuel sandra
sara sarah scott sean sebastian sergei sergio sharon shirley silvia simon simone sofia sonja sophia sophie stefan
stefanie stephanie stephen steve steven sue susan susanne sven svetlana sylvia tanja tanya tara ted teresa terry
theo theodore theresa thomas tim timothy tina tobias todd tom tony tracy ulrich ulrike ursula uwe valentina
vanessa vera veronica victor victoria viktor vincent virginia vladimir walter wanda wayne wei wendy werner wilhelm
william wolfgang xavier yan yolanda yuki yusuf yvonne zachary zoe
"""
FIRST_NAMES = frozenset(_USUAL.split())
