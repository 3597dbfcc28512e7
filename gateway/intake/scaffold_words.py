# ruff: noqa: E501  word lists, one field a line
"""Names and words vendors use, for guesses only: a scaffold offers them, a person confirms them.

Names are compared as `plain` makes them: folded, letters and digits only.  A name below a role (``gvcn.ho_ten``) is
compared with its parents joined, so ``gvcnhoten`` stands beside ``tengvcn``.
"""

import re
from collections.abc import Mapping
from functools import cache

from gateway.intake.values import folded

_NOT_ALPHANUMERIC = re.compile(r"[^a-z0-9]")


def plain(name: str) -> str:
    """*name* as it is compared: no case, diacritics, spaces or separators."""
    return _NOT_ALPHANUMERIC.sub("", folded(name))


_EVENT = """
type: sukien eventtype action loaisukien thaotac operation
version: phienban version phienbandulieu recordversion revision banghiversion lansua lansuadoi
occurred_at: thoigiancapnhat occurredat updatedat lastupdated lastmodified ngaycapnhat modifiedat timestamp thoidiem capnhat thoidiemcapnhat
vendor_ref: idbanghi recordid externalid id banghiid eventid
reason: lydo reason cancelreason lydohuy
"""

_RECORD = """
is_extract_from_paper: trichluc trichsao extractfrompaper
district_name: tenhuyen quanhuyen huyen district districtname
record_template_version: phienbanmau mauphienban templateversion phienbanmauhocba
circular: thongtu circular vanban theothongtu
transcript_id: madinhdanhhocba mahocba transcriptid hocbaid sohocba
school_year: namhoc schoolyear academicyear nienkhoa nam
department_code: masogd masogddt departmentcode sogdcode maso
department_name: tensogd tensogddt departmentname sogddt sogd sogiaoduc
school_code: matruong schoolcode schoolid truongma truongid schoolmoetcode
school_name: tentruong schoolname truong truongten truonghoc
school_commune_name: truongtenxa tenxatruong tenxa schoolwardname schoolcommunename diachitruongtenxa schoolward
school_province_name: truongtentinh tentinhtruong tentinh schoolprovincename diachitruongtentinh schoolprovince
school_commune_code: truongmaxa maxatruong maxa schoolwardcode schoolcommunecode diachitruongmaxa
school_province_code: truongmatinh matinhtruong matinh schoolprovincecode diachitruongmatinh
education_level: macaphoc caphoc educationlevel schoollevel bachoc
register_number: sodangbo sosodangbo dangbo registernumber registerno
full_name: hoten hovaten hotenhocsinh tenhocsinh fullname studentname pupilname name hocsinhhoten studentfullname
citizen_id: sodinhdanhcanhan sodinhdanh dinhdanh cccd socccd citizenid madinhdanh madinhdanhcanhan nationalid personalid
pupil_code: mahocsinh mahs studentcode pupilcode studentid mahocsinhbgd moetcode madinhdanhhs code key
gender: gioitinh gender sex phai
birth_date: ngaysinh ngaythangnamsinh birthdate dob dateofbirth birthday namsinh sinhngay
birthplace_address: noisinh birthplace placeofbirth noisinhdiachi
birthplace_province_code: noisinhmatinh birthprovincecode matinhnoisinh
birthplace_commune_code: noisinhmaxa birthwardcode maxanoisinh
hometown_address: quequan hometown nguyenquan
hometown_province_code: quequanmatinh hometownprovincecode
hometown_commune_code: quequanmaxa hometownwardcode
residence_address: noio noiohiennay diachi residence address choohiennay diachihiennay thuongtru hokhau
residence_commune_code: noiomaxa residencewardcode addresswardcode
residence_province_code: noiomatinh residenceprovincecode addressprovincecode
ethnic_group: dantoc ethnic ethnicgroup ethnicity
nationality: quoctich nationality
policy_beneficiary_category: doituongchinhsach dienchinhsach doituonguutien policy
disability_not_assessed: khuyettatkhongdanhgia khuyettat hoanhap disabilitynotassessed
father_name: hotencha hotenbo tencha tenbo fathername fatherfullname chahoten cha
mother_name: hotenme tenme mothername motherfullname mehoten me
guardian_name: hotengiamho tengiamho nguoigiamho guardianname hotennguoigiamho guardianfullname
school_leader_name: tenhieutruong hieutruong tengiamhieu principalname leadername cbqlhovaten cbqlhoten principalfullname hotenhieutruong
school_leader_citizen_id: sodinhdanhhieutruong principalcitizenid leadercitizenid cbqlsodinhdanh hieutruongsodinhdanh hieutruongcccd
school_leader_position: chucvuhieutruong chucvu principalposition leaderposition cbqlchucvu principaltitle
issue_place: diadanhphathanh noikyten noiphathanh noiky noicap issueplace placeofissue diadanh
issue_date: ngaykyphathanh ngaykyten ngayphathanh ngayky issuedate issuedon issuedat dateofissue signeddate
created_date: ngaytao ngaylap createddate createdat createdon exportedat ngayxuat
homeroom_teacher_name: tengvcn gvcn hotengvcn giaovienchunhiem homeroomteachername homeroomteacher gvcnhovaten gvcnhoten homeroomname homeroomfullname homeroomteacherfullname
homeroom_teacher_citizen_id: sodinhdanhgvcn gvcnsodinhdanh cccdgvcn homeroomteachercitizenid gvcncccd homeroomcitizenid
homeroom_teacher_comment: nhanxetgvcn nhanxetcuagvcn nhanxet homeroomcomment homeroomteachercomment teachercomment gvcnnhanxet remark
grade_code: khoi makhoi grade gradelevel gradecode khoilop
class_name: lop tenlop class classname classroom malop
promoted: lenlop duoclenlop promoted ispromoted promotion
completion_text: noidunghoanthanh completiontext hoanthanhchuongtrinh
award_text: danhhieu khenthuong award awards awardtext title honours
"""

_PRIMARY = """
weight_kg: cannang weight weightkg
height_cm: chieucao height heightcm
absences_excused: nghicophep cophep nghip vangcophep absencesexcused excused absentwithleave
absences_unexcused: nghikhongphep khongphep nghik vangkhongphep absencesunexcused unexcused absentwithoutleave
overall_result: xeploai ketqua ketquagiaoduc overallresult danhgiachung overall
grade_programme_completed: hoanthanhlophoc hoanthanhctlophoc gradecompleted hoanthanhchuongtrinhlophoc
primary_programme_completed: hoanthanhtieuhoc hoanthanhcttieuhoc primarycompleted hoanthanhchuongtrinhtieuhoc
special_award_text: khenthuongdotxuat specialaward
competency_autonomy_self_study: tuchutuhoc nangluctuchu tuchuvatuhoc autonomy selfstudy
competency_communication_cooperation: giaotiephoptac giaotiepvahoptac communication cooperation
competency_problem_solving_creativity: giaiquyetvandesangtao giaiquyetvandevasangtao giaiquyetvande problemsolving creativity
competency_language: ngonngu language
competency_mathematics: tinhtoan mathematics math
competency_science: khoahoc science
competency_technology: congnghe technology
competency_informatics: tinhoc informatics it
competency_aesthetics: thammi aesthetics art
competency_physical: thechat physical
quality_patriotism: yeunuoc patriotism
quality_compassion: nhanai compassion kindness
quality_diligence: chamchi diligence
quality_honesty: trungthuc honesty
quality_responsibility: trachnhiem responsibility
qualities_comment: nhanxetphamchat qualitiescomment
general_competencies_comment: nhanxetnanglucchung generalcompetenciescomment
specific_competencies_comment: nhanxetnanglucdacthu specificcompetenciescomment
"""

_SECONDARY = """
father_occupation: nghenghiepcha nghecha fatherjob fatheroccupation
mother_occupation: nghenghiepme ngheme motherjob motheroccupation
guardian_occupation: nghenghiepgiamho guardianjob guardianoccupation
promotion_text: noidunglenlop promotiontext ketqualenlop promotionnote
competition_results: ketquacuocthi cuocthi competitions contests
summer_training_result_text: noidungrenluyenhe renluyenhenoidung summertrainingtext
study_result_term1: ketquahoctaphk1 hoctaphk1 hocluchk1 studyterm1 studysemester1 studyhk1 studys1 academicterm1
study_result_term2: ketquahoctaphk2 hoctaphk2 hocluchk2 studyterm2 studysemester2 studyhk2 studys2 academicterm2
study_result_year: hoctapcn ketquahoctap ketquahoctapcanam hoctap hoctapcanam hocluc studyyear studycn academicyearresult hocluccanam studyfinal
study_result_after_retest: ketquahoctapthilai hoctapthilai studyafterretest studyretest
conduct_result_term1: ketquarenluyenhk1 renluyenhk1 hanhkiemhk1 conductterm1 conductsemester1 conducthk1 conducts1
conduct_result_term2: ketquarenluyenhk2 renluyenhk2 hanhkiemhk2 conductterm2 conductsemester2 conducthk2 conducts2
conduct_result_year: renluyencn ketquarenluyen ketquarenluyencanam renluyen renluyencanam hanhkiem conductyear conductcn conductfinal
conduct_result_after_summer: ketquarenluyenhe renluyenhe conductaftersummer conductsummer
absences_total: nghitong tongnghi sobuoinghi tongsobuoinghi tongvang vangtong absencestotal absences totalabsences absenttotal absentdays
"""

_FACTS = """
absences_excused: vangphep vangcophep nghip nghicophep cophep excused absencesexcused
absences_unexcused: vangkhongphep nghik nghikhongphep khongphep unexcused absencesunexcused
"""

_SUBJECT_ROWS = """
subject_code: mamonhoc mamon ma subjectcode code subject monhoc mon subjectid
subject_name: tenmonhoc tenmon ten subjectname name title
mark_term1: diemhocky1 hk1 diemhk1 hocky1 term1 semester1 markterm1 tbhk1 sem1
mark_term2: diemhocky2 hk2 diemhk2 hocky2 term2 semester2 markterm2 tbhk2 sem2
mark_year: diemcanam canam cn year diemtongket tongket yearmark markyear final average tbcn fullyear
mark_retest: diemkttralai thilai retest diemthilai kiemtralai markretest
subject_comment: nxetmonhoc nhanxet comment nhanxetmon subjectcomment remark
subject_teacher_name: gvbm tengvbm giaovien gv teachername teacherfullname giaovienbomon teacher gvhoten giaovienhoten teachername
subject_teacher_citizen_id: soddcngvbm gvsodinhdanh teachercitizenid teacherid gvcccd giaoviensodinhdanh teachercccd
achievement_level: mucdatduoc muc mucdat level achievementlevel danhgia
periodic_test_mark: diemkiemtradinhky diemktdk diemkt ktdk testmark diem mark diemktcuoinam
"""

_HISTORY_ROWS = """
school_year: namhoc schoolyear academicyear
class_name: lop tenlop class classname
school_name: tentruong truong school schoolname
province_name: tentinh tinh province provincename
transfer_in_date: ngaychuyenden transferindate arrivaldate ngaytrangthaichuyenden
"""

_CERTIFICATE_ROWS = """
certificate_name: tenchungchi name certificatename ten
certificate_type: loaichungchi type certificatetype loai
"""

_SUFFIXES = """
mark_term1: hk1 hocky1 term1 semester1 sem1 ki1
mark_term2: hk2 hocky2 term2 semester2 sem2 ki2
mark_year: cn canam year tb tk final tongket
mark_retest: thilai retest ktlai
subject_comment: nhanxet nx comment
subject_teacher_name: gv gvbm giaovien teacher teachername tengv
subject_teacher_citizen_id: gvsodinhdanh gvcccd teachercitizenid gvdinhdanh
achievement_level: muc mucdat mucdatduoc level danhgia
periodic_test_mark: diem ktdk kt mark diemkt diemktdk
"""

_SUBJECTS = """
toan: toan math maths mathematics toanhoc
tieng_viet: tiengviet tv vietnamese
ngu_van: nguvan van literature vanhoc
ngoai_ngu_1: ngoaingu1 ngoaingu anh tienganh nn1 nn english foreignlanguage1 english1 nnngu1
ngoai_ngu_2: ngoaingu2 nn2 foreignlanguage2
gdcd: giaoduccongdan gdcd civics civiceducation congdan
dao_duc: daoduc ethics
tnxh: tunhienvaxahoi tunhienxahoi tnxh naturesociety
lsdl: lichsuvadiali lichsudiali lichsudialy lsdl sudia historygeography
khtn: khoahoctunhien khtn naturalscience naturalsciences
khoa_hoc: khoahoc science
cong_nghe: congnghe cnghe cn technology tech tinhocvacongnghecongnghe
tin_hoc: tinhoc tin informatics it computing tinhocvacongnghetinhoc
gdtc: giaoducthechat gdtc theduc pe physicaleducation
nghe_thuat: nghethuat nt art arts
am_nhac: amnhac music nghethuatamnhac
mi_thuat: mithuat mythuat finearts nghethuatmithuat
hdtn: hoatdongtrainghiem hoatdongtrainghiemhuongnghiep hdtn hdtnhn hdtnhuongnghiep experiential
gddp: noidunggiaoduccuadiaphuong noidunggiaoducdiaphuong ndgdcdp ndgddp gddp gddiaphuong localeducation
dtts: tiengdantocthieuso tiengdtts dtts
lich_su: lichsu su history
dia_li: diali dialy dia geography
gdkt_pl: giaoduckinhtevaphapluat gdktpl gdktvapl ktpl economicslaw
vat_li: vatli vatly li ly physics
hoa_hoc: hoahoc hoa chemistry
sinh_hoc: sinhhoc sinh biology
gdqpan: giaoducquocphongvaanninh gdqpan gdqpvaan quocphong gdqp defence
"""


def _table(text: str) -> dict[str, tuple[str, ...]]:
    lines = (line.partition(":") for line in text.strip().splitlines())
    return {name.strip(): tuple(words.split()) for name, _, words in lines}


NAMES: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "event": _table(_EVENT),
    "record": _table(_RECORD),
    "primary": _table(_PRIMARY),
    "secondary": _table(_SECONDARY),
    "facts": _table(_FACTS),
    "subjects": _table(_SUBJECT_ROWS),
    "history": _table(_HISTORY_ROWS),
    "certificates": _table(_CERTIFICATE_ROWS),
}
"""Section (results by level) → field → names vendors give it."""

SUFFIXES: Mapping[str, tuple[str, ...]] = _table(_SUFFIXES)
"""Row field → what follows a subject's key in a flat column (``toan_hk1``); no suffix is the year."""

PEOPLE: Mapping[str, tuple[str, ...]] = {
    "father": ("cha", "bo", "father", "phuhuynhcha"),
    "mother": ("me", "mother", "phuhuynhme"),
    "guardian": ("giamho", "guardian", "nguoigiamho"),
    "school_leader": ("hieutruong", "cbql", "giamhieu", "principal", "leader", "headmaster"),
    "homeroom_teacher": ("gvcn", "homeroom", "giaovienchunhiem", "homeroomteacher", "chunhiem"),
    "school": ("school", "truong", "cosogiaoduc", "diachitruong"),
    "subject_teacher": ("teacher", "gvbm", "giaovien"),
    "department": ("sogd", "department", "sogddt", "so"),
}
"""Whose data stands below a name: a field of another person is not read there."""

WORDS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "gender": {"1": ("Nam", "male", "M"), "2": ("Nữ", "Nu", "female", "F")},
    "boolean": {"1": ("1", "true", "x", "có", "yes", "y"), "0": ("0", "false", "không", "no", "n")},
    "event_type": {
        "NEW": ("NEW", "CREATE", "THEM", "thêm mới"),
        "UPdate": ("UPDATE", "AMEND", "SUA", "cập nhật"),
        "CANCEL": ("CANCEL", "REVOKE", "DELETE", "HUY", "hủy"),
    },
    "secondary_result_level": {
        "T": ("T", "Tốt", "TOT"),
        "K": ("K", "Khá", "KHA"),
        "Đ": ("Đ", "Đạt", "DAT"),
        "CĐ": ("CĐ", "Chưa đạt", "CHUA_DAT"),
    },
    "primary_quality_level": {
        "T": ("T", "Tốt", "TOT"),
        "Đ": ("Đ", "Đạt", "DAT"),
        "C": ("C", "Cần cố gắng", "CCG", "CAN_CO_GANG"),
    },
    "primary_subject_level": {
        "T": ("T", "Hoàn thành tốt", "HTT"),
        "H": ("H", "Hoàn thành", "HT"),
        "C": ("C", "Chưa hoàn thành", "CHT"),
        "M": ("M", "Miễn", "MIEN"),
    },
    "primary_overall_result": {
        "HTXS": ("HTXS", "Hoàn thành xuất sắc", "HOAN_THANH_XUAT_SAC"),
        "HTT": ("HTT", "Hoàn thành tốt", "HOAN_THANH_TOT"),
        "HT": ("HT", "Hoàn thành", "HOAN_THANH"),
        "CHT": ("CHT", "Chưa hoàn thành", "CHUA_HOAN_THANH"),
    },
}
"""Official list → code → words vendors use for it."""

_SUBJECT_CODES: Mapping[str, Mapping[str, str]] = {
    "subject_primary": {
        "toan": "01", "tieng_viet": "02", "dao_duc": "03", "tnxh": "04", "lsdl": "05", "ngoai_ngu_1": "11",
        "tin_hoc": "12", "khoa_hoc": "13", "dtts": "14", "cong_nghe": "87", "gdtc": "88", "am_nhac": "89",
        "mi_thuat": "90", "hdtn": "91",
    },
    "subject_thcs": {
        "lsdl": "05", "dtts": "14", "toan": "15", "ngu_van": "19", "gdcd": "26", "cong_nghe": "27", "ngoai_ngu_2": "31",
        "tin_hoc": "32", "khtn": "66", "ngoai_ngu_1": "69", "gdtc": "88", "hdtn": "91", "nghe_thuat": "97",
        "gddp": "99",
    },
    "subject_thpt": {
        "dtts": "14", "toan": "15", "ngu_van": "19", "am_nhac": "29", "mi_thuat": "30", "vat_li": "35", "hoa_hoc": "36",
        "sinh_hoc": "37", "tin_hoc": "38", "lich_su": "40", "dia_li": "41", "cong_nghe": "46", "gdqpan": "47",
        "ngoai_ngu_1": "69", "ngoai_ngu_2": "70", "gdtc": "88", "hdtn": "91", "gddp": "99", "gdkt_pl": "100",
    },
}  # fmt: skip


@cache
def subject_words(listed: str) -> Mapping[str, str]:
    """`plain` word → code of the subject list *listed*; the code itself counts as a word."""
    spellings = _table(_SUBJECTS)
    codes = _SUBJECT_CODES[listed]
    words = {word: code for key, code in codes.items() for word in (*spellings[key], plain(key))}
    return words | {code: code for code in codes.values()}
